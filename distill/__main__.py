"""``python -m distill`` and the command ``edgeproof``; the command line itself is :mod:`distill.cli`."""

from distill.cli.app import main

if __name__ == "__main__":
    main()
