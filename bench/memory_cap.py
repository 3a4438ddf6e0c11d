"""Search under a memory cap and a hard limit of the same size: count deaths and false refusals.

Run it from the repository root, once a set-up: `python bench/memory_cap.py tiny-600MB --output
docs/results/memory-cap.md` puts the set-up's section into that page.
"""

from __future__ import annotations

if __name__ == "__main__":
    # Each run's process imports this file, so it must not take memory.
    from capped import main

    main()
