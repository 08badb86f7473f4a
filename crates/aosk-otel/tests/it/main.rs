//! A kernel that tells a collector on loopback what it does.

#[cfg(test)]
mod collector;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod telling;
