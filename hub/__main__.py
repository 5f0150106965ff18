"""``python -m hub``: the same as the console script ``hub``."""
from hub.cli import main

if __name__ == "__main__":
    main()
