# Secure boot and encrypted flash; and no prompt on the serial line, which would read out what the flash no longer tells.
set(SDKCONFIG_DEFAULTS
    ${SDKCONFIG_DEFAULTS}
    boards/LARDER/sdkconfig.secure
)

list(APPEND MICROPY_DEF_BOARD
    MICROPY_HW_BOARD_NAME="Larder device, sealed"
    MICROPY_HW_ENABLE_UART_REPL=0
)
