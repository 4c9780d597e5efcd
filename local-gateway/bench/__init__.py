"""The benchmark: the local gateway beside a bare WebSocket server and serverless-offline.

It needs Linux, because it reads /proc. serverless-offline also needs npm, which installs it once.
"""
