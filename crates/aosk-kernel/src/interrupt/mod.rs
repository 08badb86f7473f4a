//! Interrupts: what devices report back. A report that is late, comes twice or belongs to nobody is
//! counted and ignored.

mod model;
mod tool;
