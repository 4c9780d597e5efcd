"""Stand-ins for the AWS services of the interpreter that the local server's emulator lacks."""
