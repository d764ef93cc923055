//! Pure compile of an entity set to a snapshot.
