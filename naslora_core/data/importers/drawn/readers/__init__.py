"""Helpers of the importers in `drawn/`: images by the names tools give them, safe XML, shapes; registers nothing."""
