//! The Redis backend of Mesh.
