"""`python -m trd`, which is also what torchrun starts."""

from trd.cli import main

if __name__ == "__main__":
    main()
