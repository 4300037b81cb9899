"""`python -m tests`: torture, for as long as one likes. A child imports this file again, and no more."""

if __name__ == "__main__":
    from tests.support.torture import main

    main()
