"""The data of the stock objective: folders of images and masks, drawn faces, the cache."""
