"""The stores, which make all reads and writes of the Sessions and Connections tables.

Every state change is one conditional write, or one transaction of two items that no other event is
likely to write. Expired items count as deleted, because DynamoDB can delete them days later. The
use cases decide which changes a caller may make, and their order.

Every method raises ServiceUnavailable if DynamoDB throttles, fails or can't be reached.
"""
