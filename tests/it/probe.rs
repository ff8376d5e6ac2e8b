//! Probes against the simulator.
