//! Retrieval on real conversations and recorded runs, where the machine has them.

#[cfg(test)]
mod conversations;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod shared;
