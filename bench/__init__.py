"""The stopwatch: each figure beside its yardstick, in the same run and interleaved with it.

Not packaged with the Lambda functions. Linux only: memory is read from /proc.
"""
