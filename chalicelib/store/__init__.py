"""The Sessions and the Connections table in DynamoDB: keys, conditions and paging.

Every state change is one conditional write, or one transaction of two items that no other event is
likely to write. Expired items count as deleted, because DynamoDB can delete them days later. The
use cases decide who may do what, in which order.

Every method raises ServiceUnavailable if DynamoDB throttles, fails or can't be reached.
"""
