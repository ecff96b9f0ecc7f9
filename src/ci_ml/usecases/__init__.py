"""What ci-ml does, as straight lines over ports. Layer: usecases; they know no adapter and no command line."""
