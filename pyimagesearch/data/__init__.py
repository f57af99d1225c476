"""Read images, series and data sets; made ones are in ``synthetic``."""
