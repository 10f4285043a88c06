//! Seeded worlds that try to break Mesh.
