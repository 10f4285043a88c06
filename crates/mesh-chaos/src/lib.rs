//! Real processes that are killed, paused and cut off.
