"""Archives: zip and tar, unpacked entry by entry, with hostile and damaged ones in mind."""
