"""``python -m distill`` and the command ``edgeproof``; the command line itself is :mod:`distill.cli`."""

import sys


def main() -> None:
    """Run the command; Ctrl-C and SIGTERM are answered from the first moment, while modules are still read, to the last."""
    try:
        from distill.cli.terminate import die_of_signals, treat_termination_as_ctrl_c

        treat_termination_as_ctrl_c()
        from distill.cli.app import main as command

        command()
    except KeyboardInterrupt:
        from distill.cli.terminate import stopped

        error = stopped()
        sys.stderr.write(f"edgeproof: error: {error}\n")
        sys.exit(error.exit_code)
    finally:
        die_of_signals()


if __name__ == "__main__":
    main()
