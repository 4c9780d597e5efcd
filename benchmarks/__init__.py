"""The application's benchmarks, each interleaved with a yardstick in the same run.

They use the tables, clients and servers of `bench`, the local gateway's benchmark, which `make
install` links with the local gateway. They aren't packaged with the Lambda functions. They need
Linux, because they read /proc.
"""
