def difference(old: object, new: object) -> list[str]:
    return []
