//! The ledger as one process sees it.
