"""``python -m specalign`` is the command ``specalign``."""

from verify.commands.cli import main

if __name__ == "__main__":
    main()
