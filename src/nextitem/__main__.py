"""`python -m nextitem`."""

from nextitem.cli.app import main

if __name__ == "__main__":
    main()
