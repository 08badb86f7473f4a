//! Reading a store.
