//! Faults.
/// To come.
#[derive(Debug)]
pub struct Faulty;
