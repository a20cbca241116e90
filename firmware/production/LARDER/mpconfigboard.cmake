# MicroPython for a Larder device. Copy this folder to ports/esp32/boards/; README.md beside it says how it is used.
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    ${SDKCONFIG_IDF_VERSION_SPECIFIC}
    boards/sdkconfig.ble
    boards/LARDER/sdkconfig.board
)
