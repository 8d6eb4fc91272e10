"""Leading eigenpairs of matrices that are only multiplied with."""
