"""The benchmarks of the application and its clients, most of them interleaved with a yardstick.

They use the tables, clients and servers of `bench`, the local gateway's benchmark, which `make
install` links with the local gateway. They aren't packaged with the Lambda functions. They need
Linux, because they read /proc. Those of the clients also need Node and tests/stories.
"""
