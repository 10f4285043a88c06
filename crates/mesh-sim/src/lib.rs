//! Seeded worlds that try to break Mesh.

mod lie;
pub mod redis;
pub mod world;
