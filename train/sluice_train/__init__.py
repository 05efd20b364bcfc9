"""The recipe that makes nano, Sluice's embedded model: an LFM2 network trained from scratch on a CPU."""
