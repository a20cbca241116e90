"""The typed Python client, made from the API's document: what it consists of is described, then written by templates.

`runtime/` is copied into it as it is; it is no part of the cloud, and imports nothing of it.
"""
