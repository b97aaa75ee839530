"""`python -m nextitem`."""

from nextitem.cli import main

if __name__ == "__main__":
    main()
