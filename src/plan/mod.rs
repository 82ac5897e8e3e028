//! From the model to what each namespace holds and serves. Pure: the same model gives the same plan.

pub mod scope;
