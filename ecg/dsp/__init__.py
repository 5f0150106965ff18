"""Signal processing: microvolts in, cleaner microvolts, beats and wave boundaries out. No I/O."""
