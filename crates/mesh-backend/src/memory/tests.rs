//! What is particular to memory.
