"""Tables, figures and example images that a page declares, made from the results of many studies."""
