//! Seeded worlds that try to break Mesh.

pub mod redis;
