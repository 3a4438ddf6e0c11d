"""Run the command line as `python -m tuner.cli`."""

from tuner.cli import main

if __name__ == "__main__":
    main()
