"""Benchmarks, each interleaved with a yardstick in the same run.

They aren't packaged with the Lambda functions. They need Linux, because they read /proc.
"""
