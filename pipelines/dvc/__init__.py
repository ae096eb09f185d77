"""Every call of the programs dvc and git, and the files of DVC that are read here."""
