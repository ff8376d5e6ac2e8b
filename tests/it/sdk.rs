//! The official Python SDKs against the simulator.
