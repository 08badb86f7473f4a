//! Tests of conversations as histories.
