"""A store of files that keeps them in memory: obstore's own."""

from obstore.store import MemoryStore

from cloud.object_store import ObjectStore


def memory_objects() -> ObjectStore:
    """An empty one."""
    return ObjectStore(MemoryStore())
