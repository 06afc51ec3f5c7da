"""Where ``python -m genzoo`` begins."""

from genzoo.cli import main

if __name__ == "__main__":
    main()
