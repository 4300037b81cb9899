// Opens the address that is beside this script.
location.assign(document.currentScript.previousElementSibling.dataset.address);
